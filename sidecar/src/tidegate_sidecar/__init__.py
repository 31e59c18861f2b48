"""The sidecar: streams Server-Sent Events for an application and lets go of them politely.

A thin shell over `tidegate`: sockets, signals, clocks and the broker live here, decisions do not.
"""
