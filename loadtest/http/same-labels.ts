import { openConnection, requestOf } from './connection.ts';

/** Share of the pictures whose best class is that of the first service, by service: they do the same work. */
export async function sameLabels(services: readonly { readonly name: string; readonly url: string; readonly path: string }[], pictures: readonly Buffer[]): Promise<Record<string, number>> {
  const labels = new Map<string, string[]>();
  for (const { name, url, path } of services) {
    const connection = openConnection(url);
    const found: string[] = [];
    for (const jpeg of pictures) {
      const { body } = await connection.ask(requestOf(path, 'image/jpeg', [jpeg]));
      found.push((JSON.parse(body.toString()) as { predictions: { label: string }[] }).predictions[0]!.label);
    }
    connection.close();
    labels.set(name, found);
  }
  const [reference] = labels.values();
  return Object.fromEntries([...labels].map(([name, found]) => [name, Number((found.filter((label, i) => label === reference![i]).length / found.length).toFixed(3))]));
}
