/** A registry says where two schemas disagree by a path such as /fields/7/type; a person needs the name of the field. */

type Node = Readonly<Record<string, unknown>> | readonly unknown[] | string | number | null | undefined;

/** The names of the fields along a path into the schema, outermost first; none for a path that leads nowhere. */
function namesAlong(path: string, schema: Node): string[] {
  const names: string[] = [];
  let at = schema;
  const steps = path.split('/').slice(1);
  for (const [i, step] of steps.entries()) {
    if (typeof at !== 'object' || at === null) break;
    at = (at as Readonly<Record<string, Node>>)[step];
    if (steps[i - 1] === 'fields' && typeof at === 'object' && at !== null && 'name' in at) names.push(String(at.name));
  }
  return names;
}

/** The reason with the field's name behind each path; as it is when the text is not a schema. */
export function withFieldNames(reason: string, schema: string): string {
  let parsed: Node;
  try {
    parsed = JSON.parse(schema) as Node;
  } catch {
    return reason;
  }
  return reason.replace(/(?:\/\w+)*\/fields\/\d+(?:\/\w+)*/g, (path) => {
    const names = namesAlong(path, parsed);
    return names.length > 0 ? `${path} (field ${names.join('.')})` : path;
  });
}
