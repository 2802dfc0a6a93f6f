/** One service: where it runs, by which names, who may reach it and who does. */
import type { AgentView, InstanceView, ServiceView } from '../../../src/dashboard/api.ts';
import { Badge, HealthBadge, KindBadge } from '../parts/badge.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { Empty } from '../parts/notice.tsx';
import { isGateway } from '../state/attention.ts';
import { counted } from '../state/format.ts';
import { useApp } from '../state/use.ts';
import { Problems } from './problems.tsx';
import { Reach } from './reach.tsx';
import { shortList } from './short-list.ts';
import { TrafficTable } from './traffic-table.tsx';

export function ServiceDetail({ name }: { readonly name: string }) {
  const app = useApp();
  const service = app.live.services.value.get(name);
  return (
    <>
      <nav class="crumbs" aria-label="Path">
        <a href={app.link('services')}>Services</a>
        <span aria-hidden="true"> / </span>
        <span aria-current="page">{name}</span>
      </nav>
      <h1>{name}</h1>
      {service === undefined ? (
        <Empty
          title={app.live.connection.value === 'connecting' ? 'Asking control…' : `No service is called ${name}.`}
        />
      ) : (
        <Detail service={service} />
      )}
    </>
  );
}

function Detail({ service }: { readonly service: ServiceView }) {
  const app = useApp();
  const { name } = service;
  const traffic = app.live.traffic.value;
  return (
    <>
      <p class="row">
        <KindBadge kind={service.kind} />
        <HealthBadge service={service} />
        {service.public === undefined ? null : (
          <span class="badge kind-internet">{doorOf(service, app.live.agents.value).badge}</span>
        )}
        {service.tags.map((tag) => (
          <span key={tag} class="badge">
            tag:{tag}
          </span>
        ))}
        <a class="button" href={app.link('flows', '', { service: name })}>
          Flows to it
        </a>
        <a class="button" href={app.link('flows', '', { source: name })}>
          Flows from it
        </a>
      </p>
      {service.description === undefined ? null : <p>{service.description}</p>}
      <Problems problems={service.problems} />
      <div class="columns">
        <section>
          <h2>Instances</h2>
          <Instances service={service} />
        </section>
        <section>
          <h2>Names and address</h2>
          <Names service={service} />
        </section>
        <section>
          <h2>Calls to it now</h2>
          <TrafficTable pairs={traffic.filter((pair) => pair.service === name)} of={name} />
        </section>
        <section>
          <h2>Calls by it now</h2>
          <TrafficTable pairs={traffic.filter((pair) => pair.source === name)} of={name} />
        </section>
      </div>
      <section>
        <h2>Who may reach it</h2>
        {service.kind === 'worker' ? (
          <p>Nobody: a worker has no name, no address and no port. It calls, and is not called.</p>
        ) : (
          <Reach service={service} />
        )}
      </section>
    </>
  );
}

function Instances({ service }: { readonly service: ServiceView }) {
  const app = useApp();
  if (service.instances.length === 0) {
    return (
      <Empty title="No agent runs it.">
        <p>
          A token lets a host run it: <code>weft token create --services {service.name}</code>, then{' '}
          <code>weft up --join TOKEN</code> there.
        </p>
      </Empty>
    );
  }
  return (
    <ul class="plain-list">
      {service.instances.map((instance) => (
        <li key={instance.ordinal} class="row">
          <InstanceBadge instance={instance} />
          <span>
            {instance.ordinal} on <a href={app.link('agents', instance.host)}>{instance.host}</a>
          </span>
          <span class="mono soft">{instance.address}</span>
          {instance.notListening.length === 0 ? null : (
            <Badge tone="bad">nothing listens on {shortList(instance.notListening)}</Badge>
          )}
          {instance.opened === undefined ? null : <span class="soft">opened {shortList(instance.opened)}</span>}
        </li>
      ))}
    </ul>
  );
}

function InstanceBadge({ instance }: { readonly instance: InstanceView }) {
  if (!instance.connected) return <Badge tone="bad">agent away</Badge>;
  return instance.healthy ? <Badge tone="good">healthy</Badge> : <Badge tone="warn">unhealthy</Badge>;
}

/** Whether the internet reaches it. A gateway goes on without control: of one that is away nothing is known. */
function doorOf(
  { public: open }: ServiceView,
  agents: ReadonlyMap<string, AgentView>,
): { badge: string; told: string } {
  if (open === undefined) return { badge: '', told: 'not reached from the internet' };
  const gateways = [...agents.values()].filter(isGateway);
  const where = `port ${open.port}, as ${open.hosts.join(', ') || 'any host name'}`;
  const hosts = gateways.map(({ host }) => host).join(' and ');
  if (gateways.length === 0) {
    return {
      badge: 'public, no gateway yet',
      told: `public, ${where}; no gateway yet, so not reached from the internet`,
    };
  }
  if (gateways.some(({ connected }) => connected)) {
    return { badge: 'reached from the internet', told: `${where}, through a gateway` };
  }
  return {
    badge: 'public, gateway disconnected',
    told: `${where}; not known now: ${hosts} is disconnected from control`,
  };
}

function Names({ service }: { readonly service: ServiceView }) {
  const app = useApp();
  if (service.names.length === 0) return <p>A worker has none.</p>;
  return (
    <>
      <ul class="plain-list">
        {[...service.names.slice(0, 12), service.vip].map((name) => (
          <li key={name} class="row">
            <span class="mono">{name}</span>
            <CopyButton text={name} what={name} />
          </li>
        ))}
      </ul>
      {service.names.length > 12 ? <p class="soft">and {counted(service.names.length - 12, 'name')} more</p> : null}
      <dl class="facts">
        <dt>Ports</dt>
        <dd>{service.ports.length <= 40 ? service.ports.join(', ') : shortList(service.ports)}</dd>
        <dt>Internet</dt>
        <dd>{doorOf(service, app.live.agents.value).told}</dd>
      </dl>
    </>
  );
}
