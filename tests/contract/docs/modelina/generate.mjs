// Writes the contract's models as classes of JavaScript: node generate.mjs ASYNCAPI FOLDER
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { JavaScriptGenerator, JS_COMMON_PRESET } from '@asyncapi/modelina';

const [from, to] = process.argv.slice(2);
const generator = new JavaScriptGenerator({
  moduleSystem: 'CJS',
  presets: [{ preset: JS_COMMON_PRESET, options: { marshalling: true } }],
});
const models = await generator.generateCompleteModels(readFileSync(from, 'utf8'), {
  moduleSystem: 'CJS',
});
mkdirSync(to, { recursive: true });
const classes = models.filter(({ modelName }) => modelName !== '');
for (const { modelName, result } of classes) writeFileSync(join(to, `${modelName}.js`), result);
console.log(classes.map(({ modelName }) => modelName).join('\n'));
