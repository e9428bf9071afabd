"""The names of the fields that code outside of this room reads: one constant each.

`mailingest.postfix.fields` declares all fields, with types and meanings.
"""

from typing import Final

# What each event says of itself.
PROGRAM_KIND: Final = "program_kind"
INSTANCE: Final = "instance"
SERVICE: Final = "service"
OUTCOME: Final = "outcome"

# The mail.
QUEUE_ID: Final = "postfix_queueid"
SENDER: Final = "postfix_from"
RECIPIENT: Final = "postfix_to"
ORIGINAL_RECIPIENT: Final = "postfix_orig_to"
MESSAGE_ID: Final = "postfix_message-id"
SIZE: Final = "postfix_size"
RECEIVED_SIZE: Final = "postfix_received_size"
"""The size of a mail that was received, in one of its lines: all of them add up."""
RECIPIENTS: Final = "postfix_nrcpt"

# Where it came from.
CLIENT_HOSTNAME: Final = "postfix_client_hostname"
CLIENT_IP: Final = "postfix_client_ip"
ORIGINAL_CLIENT_HOSTNAME: Final = "postfix_orig_client_hostname"
ORIGINAL_CLIENT_IP: Final = "postfix_orig_client_ip"
SASL_METHOD: Final = "postfix_sasl_method"
SASL_USERNAME: Final = "postfix_sasl_username"
SASL_SENDER: Final = "postfix_sasl_sender"
UID: Final = "postfix_uid"
LOST_CONNECTION: Final = "postfix_smtpd_lostconn_data"
COMMANDS: Final = "postfix_cmd_"
"""Begins the names of the numbers of commands in a session, as in ``postfix_cmd_mail_accepted``."""

# What was decided, by whom.
ACTION: Final = "postfix_action"
SMTP_STAGE: Final = "postfix_smtp_stage"
MILTER_RESULT: Final = "postfix_milter_result"
PROXY_RESULT: Final = "postfix_proxy_result"
PROXY_MESSAGE: Final = "postfix_proxy_message"
PROXY_STATUS_CODE: Final = "postfix_proxy_status_code"
PROXY_STAGE: Final = "postfix_proxy_smtp_stage"
MILTER_MESSAGE: Final = "postfix_milter_message"
POSTSUPER_ACTION: Final = "postfix_postsuper_action"
STATUS_CODE: Final = "postfix_status_code"
ENHANCED_STATUS_CODE: Final = "postfix_status_code_enhanced"
STATUS_MESSAGE: Final = "postfix_status_message"
STATUS_SUBJECT: Final = "postfix_status_data"
REASON: Final = "postfix_reason"
MESSAGE: Final = "postfix_message"
"""The text of a line that has no fields of its own."""
MESSAGE_LEVEL: Final = "postfix_message_level"
REFUSAL: Final = "postfix_refusal"
"""See mailingest.postfix.refusals."""

# The attempt to deliver it.
STATUS: Final = "postfix_status"
DSN: Final = "postfix_dsn"
RELAY: Final = "postfix_relay"
RELAY_HOSTNAME: Final = "postfix_relay_hostname"
RELAY_IP: Final = "postfix_relay_ip"
RELAY_PORT: Final = "postfix_relay_port"
RELAY_SERVICE: Final = "postfix_relay_service"
DELAY: Final = "postfix_delay"
DELAYS: Final = {
    "before_qmgr": "postfix_delay_before_qmgr",
    "in_qmgr": "postfix_delay_in_qmgr",
    "conn_setup": "postfix_delay_conn_setup",
    "transmission": "postfix_delay_transmission",
}
"""The parts of the delay, in the order in which they pass."""
SMTP_RESPONSE: Final = "postfix_smtp_response"
ERROR_RESPONSE: Final = "postfix_error_response"
RESPONSES: Final = (
    SMTP_RESPONSE,
    "postfix_local_response",
    "postfix_pipe_response",
    ERROR_RESPONSE,
)
"""The text in brackets at the end of a delivery line, by the agent that wrote it."""
TLS_VERSION: Final = "postfix_tls_version"
TLS: Final = (
    "postfix_tls_security_level",
    "postfix_tls_trustlevel",
    TLS_VERSION,
    "postfix_tls_cipher",
)

# Other queue IDs that a line names.
REMOTE_QUEUE_ID: Final = "postfix_remote_queueid"
FORWARDED_QUEUE_ID: Final = "postfix_forwarded_queueid"
ORIGINAL_QUEUE_ID: Final = "postfix_orig_queueid"
REQUEUED_FROM: Final = "postfix_orig_id"
NOTIFICATION: Final = "postfix_bounce_queueid"
NOTIFICATION_KIND: Final = "postfix_bounce_reason"

# What a filter says of a mail: its own name for it, and what it did with it.
FILTER_ID: Final = "filter_id"
FILTER_ACTION: Final = "filter_action"
FILTER_ACTIONS: Final = "filter_actions"

NOQUEUE: Final = "NOQUEUE"
"""Stands in the place of a queue ID in lines about a mail that has none (yet)."""
