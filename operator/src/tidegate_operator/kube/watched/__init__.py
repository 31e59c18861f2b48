"""The last state of every watched object.

watching   kopf handlers: every event goes into an inbox, and nothing else happens
store      the last state per object
freshness  compares the store with plain lists, and ends the process when a watch is dead
"""
