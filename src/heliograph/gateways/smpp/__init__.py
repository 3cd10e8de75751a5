"""The SMPP door: clients bind to it, submit messages and take their receipts."""
