// Renders schemas/asyncapi.yaml to one HTML file that needs no network: node render.mjs FROM TO
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { stringify } from '@asyncapi/parser';

import { parsed } from './parsed.mjs';

const COMPONENT = '@asyncapi/react-component';
const CONFIG = {
  show: { sidebar: true },
  expand: { messageExamples: true },
  requestLabel: 'send', // an operation with a reply is none the less one that sends
};

/** The text of a file of a package, or of one beside this. */
const text = (name) => readFileSync(createRequire(import.meta.url).resolve(name), 'utf8');

/** JavaScript that may stand in a <script>: nothing in it ends the element. */
const inScript = (code) => code.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');

/** A document of AsyncAPI as a page, all of it inlined; its policy forbids it any request. */
function page(document) {
  const about = { schema: JSON.parse(stringify(document)), config: CONFIG };
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'">
<title>${document.info().title()} ${document.info().version()}</title>
<style>
${text(`${COMPONENT}/styles/default.min.css`)}
${text('./page.css')}
</style>
<noscript>This page needs JavaScript. The same in text: schemas/asyncapi.yaml.</noscript>
<div id="page"></div>
<script>${inScript(text(`${COMPONENT}/browser/standalone/without-parser.js`))}</script>
<script>const about = ${inScript(JSON.stringify(about))};</script>
<script>${text('./page.js')}</script>
</html>
`;
}

const [from, to] = process.argv.slice(2);
try {
  const html = page(await parsed(from));
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, html);
  console.log(to);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
