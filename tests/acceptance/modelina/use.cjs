// Uses the classes that were written: FOLDER edit TEXT, or FOLDER applied|rejected TEXT.
const { join } = require('node:path');

const [folder, what, text] = process.argv.slice(2);
const name = { edit: 'TaskEdit', applied: 'AppliedEvent', rejected: 'RejectedEvent' }[what];
const Model = require(join(folder, name));
const read = new Model({}).unmarshal(text);
if (what === 'edit') {
  console.log(read.marshal());
} else {
  const { id, type, data } = read;
  const { jobId: job, reason, detail } = data;
  console.log(JSON.stringify({ id, type, job, reason: reason ?? null, detail: detail ?? null }));
}
