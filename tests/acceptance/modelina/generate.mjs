// Writes the contract's models as code: node generate.mjs ASYNCAPI FOLDER js|go
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { GO_COMMON_PRESET, GoGenerator, JavaScriptGenerator, JS_COMMON_PRESET } from '@asyncapi/modelina';

const generators = {
  js: new JavaScriptGenerator({
    moduleSystem: 'CJS',
    presets: [{ preset: JS_COMMON_PRESET, options: { marshalling: true } }],
  }),
  go: new GoGenerator({ presets: [{ preset: GO_COMMON_PRESET, options: { addJsonTag: true } }] }),
};
const [from, to, language] = process.argv.slice(2);
const models = await generators[language].generateCompleteModels(readFileSync(from, 'utf8'), {
  moduleSystem: 'CJS',
  packageName: 'main',
});
mkdirSync(to, { recursive: true });
const named = models.filter(({ modelName }) => modelName !== '');
for (const { modelName, result } of named) writeFileSync(join(to, `${modelName}.${language}`), result);
console.log(named.map(({ modelName }) => modelName).join('\n'));
