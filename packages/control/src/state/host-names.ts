/** What a mesh says of a host by its name, which a host that takes another name would lose, or leave behind. */
import { byText, type Mesh } from '@weft/proto';

/** As `policy no-admin`, `test 2` or `agent build-3`. */
type Mention = string;

/** What it says of `from` and does not say alike of `to`: a host that goes from one to the other would be judged otherwise. */
export function saidOfOneAlone(mesh: Mesh, from: string, to: string): readonly Mention[] {
  const [one, other] = [`host:${from}`, `host:${to}`];
  const policies = mesh.policies.flatMap(({ name, from: sources }) =>
    sources.includes(one) === sources.includes(other) ? [] : [`policy ${name}`],
  );
  const settings = (host: string) => {
    const { tags, services } = mesh.agents.find(({ name }) => name === host) ?? { tags: [], services: [] };
    return JSON.stringify([[...tags].sort(byText), [...services].sort(byText)]);
  };
  const agents = settings(from) === settings(to) ? [] : [`agent ${from}`];
  return [...policies, ...agents];
}

/** What it says of the name at all. */
export function saidOf(mesh: Mesh, host: string): readonly Mention[] {
  const policies = mesh.policies.flatMap(({ name, from }) => (from.includes(`host:${host}`) ? [`policy ${name}`] : []));
  const tests = mesh.tests.flatMap(({ from }, at) => (from === `host:${host}` ? [`test ${at + 1}`] : []));
  const agents = mesh.agents.some(({ name }) => name === host) ? [`agent ${host}`] : [];
  return [...policies, ...tests, ...agents];
}
