"""Reports to the operator, and its orders.

report       the report and the fuller `/status`
reporter     one held request at a time; applies the answer
starting     the reporter made from a program's settings, and run in the background
poster       an HTTP/1.1 client for small JSON documents on one kept connection
credentials  the projected token, and the CA that the operator is verified with
"""
