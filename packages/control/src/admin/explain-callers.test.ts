import { describe, expect, test } from 'vitest';
import { mesh, networkOf, rule, service, tcp } from '../netmap/network.fixture.ts';
import { explain, type World } from './explain.fixture.ts';

describe('the caller is resolved as agents do', async () => {
  const where = await networkOf(
    mesh({
      services: ['web', 'api', 'redis'].map((name) => service(name, 'private', tcp(1))),
      policies: [rule('no-api', 'deny', ['api'], ['redis'])],
    }),
    [
      { host: 'alone', services: ['api'] },
      { host: 'both', services: ['api', 'web'] },
      { host: 'front', services: ['web'] },
      { host: 'data', services: ['redis'] },
    ],
  );
  const ask = async (from: string, world: World = {}) => (await explain({ from, port: 1 }, world, where)).answer;

  test('a host that runs one service speaks as that', async () => {
    const answer = await ask('host:alone');
    expect(answer).toMatchObject({
      verdict: 'deny',
      rule: 'no-api',
      reason: 'policy no-api denies api to redis:1/tcp',
    });
    expect(answer.steps[0]).toBe('every process on alone speaks as api, the one service that it runs');
    expect((await ask('host:both')).steps[0]).toBe('redis is a private service with ports 1');
  });

  test('a service that cannot be told from another on its host is denied there what that one is', async () => {
    const answer = await ask('web');
    expect(answer).toMatchObject({ verdict: 'allow', breakPoint: 'none', refusedHosts: ['both'] });
    expect(answer.steps).toContain(
      'both runs api, web, which cannot be told apart there and speak as host:both: policy no-api denies host:both, which may be api, to redis:1/tcp',
    );
    // Of those who are there to call.
    const left = await ask('web', { away: ['front'] });
    expect(left).toMatchObject({
      ...{ verdict: 'deny', rule: 'no-api', breakPoint: 'denied', refusedHosts: [] },
      ...{ decidingRule: { name: 'no-api' }, remedy: { denies: ['no-api'] } },
    });
    expect(left.steps).toContain('it is permitted from front, whose agent is not connected');
    // Where nobody is, all of them count.
    expect(await ask('web', { away: ['front', 'both'] })).toMatchObject({ verdict: 'allow', rule: 'default' });
    // What does not run there just now is nobody's to be taken for.
    expect(await ask('web', { unheard: ['api@both'] })).toMatchObject({ breakPoint: 'none', refusedHosts: [] });
  });
});

describe('what would permit it', () => {
  test('is to take away what denies it, and nothing for what no rule opens, or is open', async () => {
    const denied = await explain({ from: 'host:idle' });
    expect(denied.answer).toMatchObject({
      decidingRule: { name: 'no-cache', action: 'deny' },
      remedy: { denies: ['no-cache'], rule: undefined },
    });
    for (const question of [{}, { service: 'mailer', port: 25 }, { port: 1 }, { from: 'internet' }]) {
      const { answer } = await explain(question);
      expect([answer.remedy, answer.decidingRule]).toEqual([undefined, undefined]);
    }
  });
});

describe('each host that it may be on', () => {
  const services = [
    service('web', 'web', tcp(1)),
    service('redis', 'private', tcp(2)),
    service('db', 'private', tcp(5432)),
  ];
  const letWeb = rule('let-web', 'allow', ['web'], ['db']);
  const shut = (policies = [letWeb]) => mesh({ services, defaultAction: 'deny', policies });
  const toDb = { service: 'db', port: 5432 };
  const data = { host: 'data', services: ['db'] };
  const mixed = { host: 'mixed', services: ['web', 'redis'] };
  const permits = (revision: number) =>
    `revision ${revision} permits it by let-web: policy let-web allows web to db:5432/tcp`;
  const denies = (revision: number) =>
    `revision ${revision} denies it by default: no policy is about host:mixed to db:5432/tcp, and the default is deny`;
  const voided = 'rule let-web allows nothing to web on mixed, where no process can be told from another';

  test('is judged as it speaks: denied where that is of its host alone, which names the rule', async () => {
    const where = await networkOf(shut(), [data, mixed]);
    const { answer, traced } = await explain(toDb, {}, where);
    expect(answer).toMatchObject({ verdict: 'deny', rule: 'default', breakPoint: 'denied', refusedHosts: [] });
    expect(answer.steps).toEqual([
      'mixed runs redis, web, which cannot be told apart there and speak as host:mixed',
      'db is a private service with ports 5432',
      denies(where.revision),
      voided,
    ]);
    expect(answer.remedy).toMatchObject({ denies: [], rule: { from: ['host:mixed'], to: ['db'] } });
    expect(traced).toEqual([]);
  });

  test('is judged as itself where its agent tells its processes from others', async () => {
    const where = await networkOf(shut(), [data, mixed]);
    const { answer, traced } = await explain(toDb, { toldApart: { mixed: ['web'] } }, where);
    expect(answer).toMatchObject({ verdict: 'allow', rule: 'let-web', breakPoint: 'none', refusedHosts: [] });
    expect(traced).toEqual(['mixed>data']);
    const other = await explain({ ...toDb, from: 'host:mixed' }, { toldApart: { mixed: ['web'] } }, where);
    expect(other.answer).toMatchObject({ verdict: 'deny', rule: 'default' });
  });

  test('is not all of its host, though it is alone, where its agent tells it from others', async () => {
    const where = await networkOf(shut(), [data, { host: 'alone', services: ['web'] }]);
    const told = { toldApart: { alone: ['web'] } };
    expect((await explain(toDb, told, where)).answer).toMatchObject({ verdict: 'allow', rule: 'let-web' });
    const other = await explain({ ...toDb, from: 'host:alone' }, told, where);
    expect(other.answer).toMatchObject({ verdict: 'deny', rule: 'default' });
  });

  test('speaks as its host, though it is alone, where its agent may not tell it from others', async () => {
    const where = await networkOf(shut(), [data, { host: 'alone', services: ['web'] }]);
    const { answer } = await explain(toDb, { othersAsHost: ['alone'] }, where);
    expect(answer).toMatchObject({ verdict: 'deny', rule: 'default' });
    expect(answer.steps[0]).toBe(
      'alone runs web, whose processes its agent does not promise to tell from others, and speaks as host:alone',
    );
    expect(answer.steps.at(-1)).toBe(
      'rule let-web allows nothing to web on alone, where no process can be told from another',
    );
  });

  test('is judged for each user that rules speak of', async () => {
    const noBob = rule('no-bob', 'deny', ['user:bob'], ['db']);
    const where = await networkOf(shut([letWeb, noBob]), [data, { host: 'alone', services: ['web'] }]);
    const { answer } = await explain(toDb, {}, where);
    expect(answer).toMatchObject({ verdict: 'allow', rule: 'let-web' });
    expect(answer.steps).toContain('but not for user bob (rule no-bob), one that is not known (rule no-bob)');
  });

  test('is left out of those that may, with the rule that is not enforced there', async () => {
    const where = await networkOf(shut(), [data, mixed, { host: 'alone', services: ['web'] }]);
    const { answer, traced } = await explain(toDb, {}, where);
    expect(answer).toMatchObject({ verdict: 'allow', rule: 'let-web', breakPoint: 'none', refusedHosts: ['mixed'] });
    expect(answer.steps.slice(1, 4)).toEqual([
      permits(where.revision),
      'mixed runs redis, web, which cannot be told apart there and speak as host:mixed: no policy is about host:mixed to db:5432/tcp, and the default is deny',
      voided,
    ]);
    expect(traced).toEqual(['alone>data']);
  });

  test('may call where a rule is about the host, and the service may not', async () => {
    const letMixed = rule('let-mixed', 'allow', ['host:mixed'], ['db']);
    const where = await networkOf(shut([letMixed]), [data, mixed, { host: 'alone', services: ['web'] }]);
    const { answer, traced } = await explain(toDb, {}, where);
    expect(answer).toMatchObject({ verdict: 'allow', rule: 'let-mixed', refusedHosts: ['alone'] });
    expect(answer.steps[0]).toBe('mixed runs redis, web, which cannot be told apart there and speak as host:mixed');
    expect(traced).toEqual(['mixed>data']);
  });

  test('is in the rule that would permit it, where none may', async () => {
    const where = await networkOf(shut([]), [data, mixed, { host: 'alone', services: ['web'] }]);
    const { answer } = await explain(toDb, {}, where);
    expect(answer.remedy?.rule).toMatchObject({ name: 'web-to-db-5432', from: ['web', 'host:mixed'] });
  });

  test('has the rule named that does nothing there, where the host is asked about, and no other', async () => {
    const apart = rule('apart', 'allow', ['web'], ['redis']);
    const where = await networkOf(shut([letWeb, apart]), [data, mixed]);
    const { answer } = await explain({ from: 'host:mixed', ...toDb }, {}, where);
    expect(answer).toMatchObject({ verdict: 'deny', rule: 'default', breakPoint: 'denied' });
    expect(answer.steps.slice(1)).toEqual([denies(where.revision), voided]);
  });

  test('has the rule named that denies more there than it says', async () => {
    const noWeb = rule('no-web', 'deny', ['web'], ['db']);
    const where = await networkOf(mesh({ services, policies: [noWeb] }), [data, mixed]);
    const { answer } = await explain({ from: 'redis', ...toDb }, {}, where);
    expect(answer).toMatchObject({ verdict: 'deny', rule: 'no-web', breakPoint: 'denied' });
    expect(answer.steps.at(-1)).toBe(
      'rule no-web denies every process of mixed that may be web, since none there can be told from another',
    );
  });

  test('is told of in a few words where they are many', async () => {
    const many = Array.from({ length: 12 }, (_, at) => ({ host: `mixed-${at}`, services: ['web', 'redis'] }));
    const where = await networkOf(shut(), [data, { host: 'alone', services: ['web'] }, ...many]);
    const { answer } = await explain(toDb, {}, where);
    expect(answer.refusedHosts).toHaveLength(12);
    expect(answer.steps.filter((step) => step.startsWith('mixed-'))).toHaveLength(8);
    expect(answer.steps).toContain('it is denied from 4 more of its hosts');
  });
});
