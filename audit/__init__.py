"""Known vulnerabilities of locked versions, looked up in a list that is at hand (`make audit`)."""
