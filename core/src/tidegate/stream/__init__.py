"""What a stream is, without sockets: the log, audiences, resuming, and admission.

The shell keeps a cursor per stream and asks this room what that stream lacks.
"""
