"""The task-edit worker: edits from RabbitMQ to the provider's API, in order and in pace.

The way of an edit, a line and a file a step:

=============  ==================================  ===========================================
delivered      `worker/amqp/consumer.py`           a message of the account's queue
decoded        `worker/core/decode.py`             its properties and body, checked: an edit
in its turn    `worker/pipeline/lane.py`           one edit of a job at a time, oldest first
cleared        `worker/pipeline/account_state.py`  lease held, account running, slot reserved
called         `worker/pipeline/callers.py`        in a thread, through `worker/api/client.py`
judged         `worker/core/judge.py`              the reply: applied, rejected, retry, suspend
completed      `worker/pipeline/completion.py`     what the verdict means for edit and account
settled        `worker/pipeline/settler.py`        letter confirmed, event confirmed, then ack
=============  ==================================  ===========================================

Before the first edit `worker/pipeline/takeover.py` makes the lane ours: it waits for the lease
and reads the journal and the pauses. `worker/app.py` builds everything; `worker/process.py` is
the process around it: signals, threads, exit code.
"""
