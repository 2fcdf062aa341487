// schemas/asyncapi.yaml as the official parser understands it.
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Parser } from '@asyncapi/parser';

const SEVERITIES = ['error', 'warning', 'information', 'hint'];
const HINT = 3;
const NOT_NEWEST = 'asyncapi-latest-version'; // generators know 3.0.0 and no newer one

/**
 * The document in a file, if the parser has nothing to say against it but hints.
 *
 * @param {string} file its path
 * @returns {Promise<import('@asyncapi/parser').AsyncAPIDocumentInterface>}
 * @throws {Error} with a line for each complaint
 */
export async function parsed(file) {
  const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'));
  const complaints = diagnostics.filter(
    ({ code, severity }) => severity < HINT && code !== NOT_NEWEST,
  );
  if (document === undefined || complaints.length > 0) {
    throw new Error(complaints.map((each) => inWords(file, each)).join('\n'));
  }
  return document;
}

function inWords(file, { severity, message, path, range }) {
  const where = `${relative('', file)}:${range.start.line + 1}`;
  return `${where}: ${SEVERITIES[severity]}: ${message} (${path.join('.')})`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const document = await parsed(process.argv[2]);
    console.log(`AsyncAPI ${document.version()}: no error, no warning.`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
