"""Load clients: a process full of EventSources that check every event they get.

They know nothing of the server's code: what they accept is the wire of the contract, parsed here
a second time, so that a mistake in the sidecar's encoder cannot hide in a shared decoder.
"""
