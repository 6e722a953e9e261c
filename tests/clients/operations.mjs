// Generates operations from a schema: one per root field, with every selectable field down to a depth.
import { getNamedType, isInterfaceType, isLeafType, isObjectType, isRequiredArgument, isScalarType, isSpecifiedScalarType, isUnionType } from 'graphql';

const upper = (name) => name[0].toUpperCase() + name.slice(1);
const withoutArguments = (field) => !field.args.some(isRequiredArgument);

export function leaves(type, alias = '') {
  return Object.values(type.getFields())
    .filter((field) => isLeafType(getNamedType(field.type)) && withoutArguments(field))
    .map((field) => (alias ? `${alias}_${field.name}: ${field.name}` : field.name));
}

/** Returns a selection `{ … }`. Members of a union or interface get aliases, because fields of one name may differ in type. */
export function selection(schema, type, depth) {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  const parts = ['__typename'];
  if (isUnionType(named) || isInterfaceType(named)) {
    if (isInterfaceType(named)) parts.push(...leaves(named));
    for (const member of schema.getPossibleTypes(named)) {
      const fields = leaves(member, member.name);
      if (fields.length > 0) parts.push(`... on ${member.name} { ${fields.join(' ')} }`);
    }
  } else {
    parts.push(...leaves(named));
    for (const field of Object.values(named.getFields())) {
      const inner = getNamedType(field.type);
      if (isLeafType(inner) || depth === 0 || inner === schema.getQueryType() || !withoutArguments(field)) continue;
      const page = field.args.some((argument) => argument.name === 'first') ? '(first: 2)' : '';
      parts.push(`${field.name}${page} ${selection(schema, inner, depth - 1)}`);
    }
  }
  return `{ ${parts.join(' ')} }`;
}

/** Returns `[{ kind, name, text(operationName) }]`. */
export function operations(schema, depth = 3) {
  const roots = { query: schema.getQueryType(), mutation: schema.getMutationType(), subscription: schema.getSubscriptionType() };
  return Object.entries(roots).flatMap(([kind, root]) =>
    Object.values(root?.getFields() ?? {}).map((field) => {
      const declared = field.args.map((argument) => `$${argument.name}: ${argument.type}`).join(', ');
      const passed = field.args.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
      const wrap = (text) => (text ? `(${text})` : '');
      const body = `{ ${field.name}${wrap(passed)} ${selection(schema, field.type, depth)} }`;
      return { kind, name: upper(field.name), text: (name) => `${kind} ${name}${wrap(declared)} ${body}` };
    }),
  );
}

/** Returns Relay fragments: a refetchable one for every Node, a paginated one for every connection. `[{ name, text }]` */
export function fragments(schema) {
  const nodes = schema.getType('Node') ? schema.getPossibleTypes(schema.getType('Node')) : [];
  const own = nodes.map((type) => {
    const name = `node${type.name}`;
    return { name, text: `fragment ${name}_it on ${type.name} @refetchable(queryName: "${name}Query") { ${leaves(type).join(' ')} }` };
  });
  const pages = [schema.getQueryType(), ...nodes].flatMap((type) =>
    Object.values(type.getFields()).filter((field) => {
      const names = field.args.map((argument) => argument.name);
      const connection = isObjectType(getNamedType(field.type)) && getNamedType(field.type).name.endsWith('Connection');
      const free = field.args.every((argument) => argument.name === 'first' || !isRequiredArgument(argument));
      return connection && free && names.includes('first') && names.includes('after');
    }).map((field) => {
      const name = `page${type.name}${upper(field.name)}`;
      const first = field.args.find((argument) => argument.name === 'first').type;
      const after = field.args.find((argument) => argument.name === 'after').type;
      const text = `fragment ${name}_list on ${type.name}
        @argumentDefinitions(first: { type: "${first}", defaultValue: 10 }, after: { type: "${after}" })
        @refetchable(queryName: "${name}Query") {
          ${field.name}(first: $first, after: $after) @connection(key: "${name}_${field.name}") { edges { node { __typename } } }
        }`;
      return { name, text };
    }),
  );
  return [...own, ...pages];
}

/** Custom scalars, which are all strings on the wire. */
export function scalars(schema) {
  const own = Object.values(schema.getTypeMap()).filter((type) => isScalarType(type) && !isSpecifiedScalarType(type));
  return Object.fromEntries(own.map((type) => [type.name, 'string']));
}

/** The subscription without credentials: it sends the current state at once, then every second. */
export function clock(schema) {
  const field = schema.getSubscriptionType()?.getFields().marketClockChanged;
  return `subscription { marketClockChanged ${field ? selection(schema, field.type, 1) : '{ __typename }'} }`;
}

/** Lists the types of interfaces and unions for Apollo's cache. */
export function possibleTypes(schema) {
  const abstract = Object.values(schema.getTypeMap()).filter((type) => 'resolveType' in type);
  return Object.fromEntries(abstract.map((type) => [type.name, schema.getPossibleTypes(type).map((member) => member.name)]));
}
