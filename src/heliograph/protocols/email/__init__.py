"""Mail as a way to send messages: reading a mail, and the order in its body.

`mime` takes a mail apart, `markup` makes text of HTML, `order` reads the one line that orders.
"""
