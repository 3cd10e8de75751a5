"""Forms of the HTTP API without any input or output: requests in, replies out.

`charsets` names the character sets, `urlencoded` takes forms apart, `replies` writes the four forms
of an answer.
"""
