#!/usr/bin/env node
// Publishes one task edit and waits for its outcome: a whole publisher, to run or to take apart.
// Needs amqplib, ajv and the contract's edit.json.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import Ajv2020 from 'ajv/dist/2020.js';
import amqp from 'amqplib';

const [APPLIED, REJECTED, MISUSED, ABSENT, LATE] = [0, 1, 2, 69, 75];
const USAGE = 'publish-edit.mjs [--by events|reply] [--timeout SECONDS] [--message-id ID] FILE';

const NAMESPACE = process.env.TASKEDIT_NAMESPACE ?? 'task-edit';
const SERVERS = process.env.TASKEDIT_AMQP_URL ?? 'amqp://guest:guest@localhost:5672/%2F';
const SCHEMA =
  process.env.EDIT_SCHEMA ?? new URL('../../../schemas/json/edit.json', import.meta.url);

/** Ends with an exit code; the message is for people. */
class Ended extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * The edit that a body holds, by the published JSON Schema.
 *
 * What that cannot say (an end before its start, an appId of no account) the worker finds. The
 * body is published as it is, never written anew: JavaScript would round a job id above 2^53.
 */
function checked(body) {
  const valid = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(SCHEMA, 'utf8')),
  );
  let edit;
  try {
    edit = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch (error) {
    throw new Ended(REJECTED, `Not sent: ${error.message}`);
  }
  if (!valid(edit)) {
    const problems = valid.errors.map((each) => `${each.instancePath || 'edit'} ${each.message}`);
    throw new Ended(REJECTED, `Not sent: ${problems.join('; ')}`);
  }
  if (!edit.appId) throw new Ended(REJECTED, 'Not sent: appId is required, as the routing key');
  return edit;
}

/** A connection to the first server that answers. */
async function connected() {
  let failure;
  for (const server of SERVERS.split(',')) {
    try {
      return await amqp.connect(server, { timeout: 10_000 });
    } catch (error) {
      failure = error;
    }
  }
  throw new Ended(ABSENT, `RabbitMQ: ${failure.message || failure.code}`);
}

/** Resolves when RabbitMQ has confirmed the edit and not returned it. */
function published(channel, edit, body, properties) {
  let returned = false;
  let refused = false;
  channel.once('return', () => { returned = true; }); // which comes before the confirm
  channel.prependOnceListener('nack', () => { refused = true; }); // so does this, in front
  return new Promise((resolve, reject) => {
    channel.publish(NAMESPACE, edit.appId, body, properties, (failure) => {
      if (refused) reject(new Ended(LATE, 'RabbitMQ refused it, for a queue is full.'));
      else if (failure) return; // the channel is gone, and its error says why
      else if (returned) reject(new Ended(ABSENT, "Not routed: is the worker's topology there?"));
      else resolve();
    });
  });
}

/** The event about one's own edit, as it was published, from a queue that others share. */
function heard(channel, queue, messageId) {
  return new Promise((resolve, reject) => {
    channel
      .consume(
        queue,
        (message) => {
          if (message === null) return reject(new Ended(ABSENT, 'The queue is gone.'));
          const text = message.content.toString();
          if (JSON.parse(text).data.messageId === messageId) resolve(text);
        },
        { noAck: true },
      )
      .catch(reject);
  });
}

/** Publishes the edit; the event about it, by replyTo or from the events' exchange. */
async function outcome(edit, body, messageId, byReply) {
  const connection = await connected();
  const broken = once(connection, 'error').then(failed);
  const gone = once(connection, 'close').then(failed);
  try {
    return await Promise.race([talk(connection, edit, body, messageId, byReply), broken, gone]);
  } catch (error) {
    throw error instanceof Ended ? error : new Ended(ABSENT, `RabbitMQ: ${error.message}`);
  } finally {
    [broken, gone].forEach((each) => each.catch(() => {}));
    await connection.close().catch(() => {});
  }
}

function failed([error]) {
  throw new Ended(ABSENT, `RabbitMQ: ${error?.message ?? 'the connection was closed'}`);
}

async function talk(connection, edit, body, messageId, byReply) {
  const channel = await connection.createConfirmChannel();
  const refused = once(channel, 'error').then(failed); // such as an exchange that is not there
  refused.catch(() => {}); // told by whatever waits just then
  // First the ear, then the word: an event that nobody waits for yet is gone.
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const key = /^[A-Za-z0-9_-]{1,100}$/.test(edit.appId) ? edit.appId : '_';
  for (const each of byReply ? [] : [key, '_']) { // _ for an edit that cannot be read
    await channel.bindQueue(queue, `${NAMESPACE}.events`, `*.${each}`);
  }
  const event = heard(channel, queue, messageId);
  event.catch(() => {});
  const properties = {
    contentType: 'application/json',
    persistent: true,
    mandatory: true,
    messageId,
    timestamp: Math.floor(Date.now() / 1000), // seconds, not JavaScript's milliseconds
    ...(byReply && { replyTo: queue }),
  };
  await Promise.race([published(channel, edit, body, properties), refused]);
  return Promise.race([event, refused]);
}

function wishes() {
  const options = {
    by: { type: 'string', default: 'events' },
    timeout: { type: 'string', default: '60' },
    'message-id': { type: 'string', default: randomUUID() },
  };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const seconds = Number(values.timeout);
    if (positionals.length === 1 && seconds > 0 && ['events', 'reply'].includes(values.by)) {
      return { ...values, seconds, file: positionals[0] === '-' ? 0 : positionals[0] };
    }
  } catch { /* told below */ }
  throw new Ended(MISUSED, USAGE);
}

async function main() {
  const { by, seconds, file, 'message-id': messageId } = wishes();
  const body = readFileSync(file);
  const edit = checked(body);
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Ended(LATE, 'No outcome in time.')), seconds * 1000).unref();
  });
  try {
    const event = await Promise.race([outcome(edit, body, messageId, by === 'reply'), late]);
    console.log(event);
    process.exitCode = JSON.parse(event).data.outcome === 'rejected' ? REJECTED : APPLIED;
  } catch (error) {
    error.message = `${error.message.replace(/\.$/, '')}. Safe to repeat: --message-id ${messageId}`;
    throw error;
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exit(error instanceof Ended ? error.code : MISUSED);
}
