// Checks the schema with two linters and with the compilers that applications use.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, validate } from 'graphql';
import { ESLint } from 'eslint';
import graphqlPlugin from '@graphql-eslint/eslint-plugin';
import { valueTypes } from './guide.mjs';
import { assert, check, runs, schema, schemaFile } from './harness.mjs';
import { fragments, operations, scalars } from './operations.mjs';
import { compile } from './relay.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const MINUTES = 60_000;

export default async function suite() {
  await check('graphql-eslint: strict rules', strictRules, 2 * MINUTES);
  await check('graphql-schema-linter', () => runs('graphql-schema-linter', ['--format', 'compact', '--rules', LINTER.join(','), schemaFile], here), MINUTES);
  await check('the generated operations are valid', () => {
    const all = operations(schema);
    assert.ok(all.length > 0);
    for (const { text } of all) assert.deepEqual(validate(schema, parse(text('It'))).map(String), []);
  });
  await check('the samples of the playground are valid', () => {
    const folder = join(here, '../../src/server/playground');
    const files = readdirSync(folder).filter((file) => file.endsWith('.graphql'));
    assert.ok(files.length > 0);
    for (const file of files) assert.deepEqual(validate(schema, parse(readFileSync(join(folder, file), 'utf8'))).map(String), []);
  });
  await check('relay-compiler', async () => {
    const roots = operations(schema, 2).map(({ kind, name, text }) => {
      const module = `root${name}`;
      return { name: module, text: text(`${module}${kind[0].toUpperCase()}${kind.slice(1)}`) };
    });
    const { artifacts } = await compile(schemaFile, schema, [...roots, ...fragments(schema)]);
    assert.ok(artifacts.length >= roots.length);
  }, 3 * MINUTES);
  await check('graphql-codegen, then tsc --strict', codegen, 4 * MINUTES);
}

/**
 * All of the plugin's rules for schemas and for Relay servers, and stricter ones that this schema follows.
 * `require-deprecation-date` wants the date in an argument of its own, which `@deprecated` does not have; the date
 * is in the reason, and tests/it/client_guide.rs checks it.
 */
async function strictRules() {
  const named = {
    'description-style': { style: 'inline' },
    'input-name': { checkInputType: true, caseSensitiveInputType: false, checkQueries: false, checkMutations: true },
    'relay-arguments': { includeBoth: false },
    'relay-edge-types': { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
    'require-description': { types: true, rootField: true, FieldDefinition: true, EnumValueDefinition: true, DirectiveDefinition: true },
    'strict-id-in-types': { exceptions: { suffixes: ['Payload', 'Connection', 'Edge', 'Error', 'Event'], types: valueTypes } },
    'no-scalar-result-type-on-mutation': null,
    'require-field-of-type-query-in-mutation-result': null,
    'require-nullable-fields-with-oneof': null,
    'require-nullable-result-in-root': null,
  };
  if (readFileSync(schemaFile, 'utf8').includes('"""')) named['description-style'].style = 'block';
  const { configs, parser } = graphqlPlugin;
  const rules = { ...configs['flat/schema-recommended'].rules, ...configs['flat/schema-relay'].rules };
  for (const [name, options] of Object.entries(named)) rules[`@graphql-eslint/${name}`] = options ? ['error', options] : 'error';
  const eslint = new ESLint({
    cwd: dirname(schemaFile),
    overrideConfigFile: true,
    overrideConfig: [{
      files: ['**/*.graphql'],
      languageOptions: { parser, parserOptions: { graphQLConfig: { schema: schemaFile } } },
      plugins: { '@graphql-eslint': graphqlPlugin },
      rules,
    }],
  });
  const problems = (await eslint.lintFiles([schemaFile])).flatMap((result) => result.messages);
  assert.ok(problems.length === 0, problems.map((p) => `${p.line}:${p.column} ${p.ruleId} ${p.message}`).join('\n'));
}

/** All rules except alphabetical order. */
const LINTER = [
  'arguments-have-descriptions', 'defined-types-are-used', 'deprecations-have-a-reason', 'descriptions-are-capitalized',
  'enum-values-all-caps', 'enum-values-have-descriptions', 'fields-are-camel-cased', 'fields-have-descriptions',
  'input-object-values-are-camel-cased', 'input-object-values-have-descriptions', 'relay-connection-arguments-spec',
  'relay-connection-types-spec', 'relay-page-info-spec', 'types-are-capitalized', 'types-have-descriptions',
];

/** Runs in a folder beside node_modules, so that the generated imports resolve. */
async function codegen() {
  const folder = mkdtempSync(join(here, '.codegen-'));
  try {
    mkdirSync(join(folder, 'operations'));
    for (const { kind, name, text } of operations(schema)) writeFileSync(join(folder, 'operations', `${kind}${name}.graphql`), text(`${kind}${name}`));
    const config = { scalars: scalars(schema), strictScalars: true, enumsAsTypes: true, useTypeImports: true };
    writeFileSync(join(folder, 'codegen.json'), JSON.stringify({
      schema: schemaFile,
      documents: 'operations/*.graphql',
      generates: {
        'schema.ts': { plugins: ['typescript'], config },
        'operations.ts': { plugins: ['typescript-operations', 'typed-document-node'], config },
      },
    }));
    await runs('graphql-codegen', ['--config', 'codegen.json'], folder);
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler'];
    await runs('tsc', [...flags, 'schema.ts', 'operations.ts'], folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
