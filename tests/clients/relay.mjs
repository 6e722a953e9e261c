// Runs Relay's compiler on documents in a temporary folder.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scalars } from './operations.mjs';

const require = createRequire(import.meta.url);
const compiler = fileURLToPath(new URL('node_modules/.bin/relay-compiler', import.meta.url));

/** Compiles `documents`, `[{ name, text }]`, each a module of one or several texts. Throws the compiler's output if it fails. */
export async function compile(schemaFile, schema, documents, { load = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'relay-'));
  try {
    mkdirSync(join(folder, 'src'));
    copyFileSync(schemaFile, join(folder, 'schema.graphql'));
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "commonjs" }');
    const config = { src: './src', schema: './schema.graphql', customScalarTypes: scalars(schema), eagerEsModules: false };
    writeFileSync(join(folder, 'relay.config.json'), JSON.stringify({ ...config, language: load ? 'javascript' : 'typescript' }));
    for (const { name, text } of documents) {
      const texts = [text].flat().map((document) => `graphql\`${document}\`;`);
      writeFileSync(join(folder, 'src', `${name}.${load ? 'js' : 'ts'}`), `${texts.join('\n')}\n`);
    }
    const { status, stdout, stderr } = spawnSync(compiler, ['relay.config.json'], { cwd: folder, encoding: 'utf8' });
    const output = `${stdout}${stderr}`;
    if (status !== 0) throw new Error(output.slice(-3000));
    const generated = join(folder, 'src', '__generated__');
    const files = readdirSync(generated);
    const artifacts = load ? Object.fromEntries(files.map((file) => [file.split('.')[0], require(join(generated, file))])) : files;
    return { artifacts, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
