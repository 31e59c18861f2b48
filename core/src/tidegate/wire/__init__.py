"""Server-Sent Events on the wire: encoding, incremental decoding, cursors, HTTP/1.1 framing.

Pure functions and one incremental decoder; bytes in, events out, and back. The specification is
the WHATWG HTML standard, section 9.2 (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""
