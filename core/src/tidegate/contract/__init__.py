"""What the parts say to each other, in one room: names, documents, errors.

Sidecar, operator, lab and every client agree on this package and on nothing else. A key, a path,
a header or a field name that crosses a process boundary is written here once; the documents know
how to become JSON and how to be read from it, and say which field is wrong when they cannot.
"""
