"""The mail door: mail comes in over SMTP and leaves as messages; nothing is relayed."""
