"""Proxy mode: an application that streams by itself, unchanged, behind a port of ours.

By hand on transports: heads are parsed (httptools), everything else is passed on as it comes, with
back-pressure both ways. Drain, report, admin port and metrics are the sidecar's own.

process      the admin port, the reports and the end
proxy        puts the parts together
client       one connection of a client: heads, one exchange after the other
exchange     one request and its answer, and what happens when either side fails
answer       an answer on its way to the client
events       an event stream that is passed on, and left between two events
failures     answers where the application has none
client_side  what an exchange needs of a client's connection
passing      bodies that are passed on, heads that are waited for
upstream     connections to the application, and those that are kept
streams      what is open: for the drain, the report and the metrics
clockwork    everything that depends on time
context      what all exchanges of a proxy share
parsing      heads, read by httptools
"""
