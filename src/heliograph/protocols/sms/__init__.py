"""Everything about the user data of short messages: alphabets, headers, segments, binary forms."""
