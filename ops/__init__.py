"""What stands around the worker: a broker, a simulated API, a demo, deployment files.

Nothing in here is shipped with the package, and the worker imports none of it.
"""
