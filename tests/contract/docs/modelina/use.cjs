// Uses the classes that were written: an edit as text, and what a rejected event says.
const { join } = require('node:path');

const [folder, edit, event] = process.argv.slice(2);
const [TaskEdit, RejectedEvent] = ['TaskEdit', 'RejectedEvent'].map((name) =>
  require(join(folder, name)),
);
const { id, type, data } = new RejectedEvent({}).unmarshal(event);
console.log(
  JSON.stringify({
    edit: new TaskEdit({}).unmarshal(edit).marshal(),
    event: { id, type, job: data.jobId, reason: data.reason, detail: data.detail },
  }),
);
