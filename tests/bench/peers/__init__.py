"""The peers, each with the same work to do, set up as its own documentation advises for speed.

All of them, as we do: consume from a quorum queue with a prefetch, ack late, validate by the
project's schemas, sign, POST, read the answer, and publish the same event to the same exchange,
persistent, mandatory and confirmed, before the ack. What they need not do: keep the edits of a
job in order, pace, keep to a deadline, remember repeats, log, count, write a journal marker.
They run from a virtual environment of their own, made from `requirements.lock` here.
"""
