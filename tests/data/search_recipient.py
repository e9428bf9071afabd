"""Deliveries to a recipient, as sites ask for them since they have had Logstash.

python search_recipient.py URL RECIPIENT SINCE UNTIL
"""

import sys

from elasticsearch import Elasticsearch


def main() -> None:
    url, recipient, since, until = sys.argv[1:]
    answer = Elasticsearch([url]).search(
        index="mail-*",
        body={
            "size": 50,
            "query": {
                "bool": {
                    "must": [{"match_phrase": {"postfix_to": recipient}}],
                    "filter": [{"range": {"@timestamp": {"gte": since, "lt": until}}}],
                }
            },
        },
    )
    for hit in answer["hits"]["hits"]:
        source = hit["_source"]
        print(source["@timestamp"], source["postfix_to"], source["postfix_status"])


if __name__ == "__main__":
    main()
