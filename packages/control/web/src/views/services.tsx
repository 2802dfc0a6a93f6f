import type { ServiceView } from '../../../src/dashboard/api.ts';
import { HealthBadge, KindBadge } from '../parts/badge.tsx';
import { type Column, DataTable } from '../parts/data-table.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { FoundCount } from '../parts/found-count.tsx';
import { Empty } from '../parts/notice.tsx';
import { healthOf } from '../state/attention.ts';
import { number } from '../state/format.ts';
import { useApp } from '../state/use.ts';
import { ServiceDetail } from './service-detail.tsx';
import { shortList } from './short-list.ts';

const HEALTH_ORDER = { down: 0, none: 1, degraded: 2, healthy: 3 } as const;

const COLUMNS: readonly Column<ServiceView>[] = [
  { key: 'name', label: 'Service', cell: ({ name }) => name, sort: ({ name }) => name },
  { key: 'kind', label: 'Kind', cell: ({ kind }) => <KindBadge kind={kind} />, sort: ({ kind }) => kind },
  {
    key: 'health',
    label: 'Health',
    cell: (service) => <HealthBadge service={service} />,
    sort: (service) => HEALTH_ORDER[healthOf(service)],
  },
  {
    key: 'instances',
    label: 'Instances',
    cell: ({ instances }) =>
      `${number(instances.filter(({ healthy, connected }) => healthy && connected).length)} of ${number(instances.length)} up`,
    sort: ({ instances }) => instances.length,
  },
  { key: 'ports', label: 'Ports', cell: ({ ports }) => shortList(ports) },
  { key: 'name-dns', label: 'Name', cell: ({ names }) => <span class="mono">{names[0] ?? '–'}</span> },
  { key: 'vip', label: 'VIP', cell: ({ vip }) => <span class="mono">{vip || '–'}</span> },
  {
    key: 'public',
    label: 'Internet',
    cell: (service) => (service.public === undefined ? 'no' : `port ${service.public.port}`),
    sort: (service) => (service.public === undefined ? 1 : 0),
  },
  {
    key: 'problems',
    label: 'Problems',
    numeric: true,
    cell: ({ problems }) => problems.length,
    sort: ({ problems }) => -problems.length,
  },
];

export function ServicesView() {
  const app = useApp();
  const { name, query } = app.route.value;
  if (name !== '') return <ServiceDetail name={name} />;
  const all = [...app.live.services.value.values()];
  const found = all.filter((service) => matches(service, query));
  const set = (field: string, value: string): void => app.replace('services', '', { ...query, [field]: value });
  return (
    <>
      <h1>Services</h1>
      <search class="filters">
        <Field
          label="Search"
          type="search"
          search
          value={query.text ?? ''}
          placeholder="name, host, port, tag"
          onValue={(value) => set('text', value)}
        />
        <Choice
          label="Kind"
          value={query.kind ?? ''}
          onValue={(value) => set('kind', value)}
          options={[
            ['', 'All'],
            ['web', 'web'],
            ['private', 'private'],
            ['worker', 'worker'],
          ]}
        />
        <Choice
          label="Health"
          value={query.health ?? ''}
          onValue={(value) => set('health', value)}
          options={[
            ['', 'All'],
            ['healthy', 'healthy'],
            ['degraded', 'degraded'],
            ['down', 'down'],
            ['none', 'not running'],
          ]}
        />
        <FoundCount found={found.length} all={all.length} word="service" />
      </search>
      {found.length === 0 ? (
        <Empty title={all.length === 0 ? 'This network has no service yet.' : 'No service is like that.'}>
          <p>
            {all.length === 0 ? (
              <>
                Write it into the mesh file and run <code>weft apply -f mesh.yaml</code>.
              </>
            ) : (
              <a href={app.link('services')}>Show all services</a>
            )}
          </p>
        </Empty>
      ) : (
        <DataTable
          caption="Services"
          columns={COLUMNS}
          rows={found}
          rowKey={(service) => service.name}
          href={(service) => app.link('services', service.name)}
          tone={(service) => TONES[healthOf(service)]}
        />
      )}
    </>
  );
}

const TONES = { down: 'bad', degraded: 'warn', none: 'warn', healthy: '' } as const;

function matches(service: ServiceView, query: Readonly<Record<string, string | undefined>>): boolean {
  const { kind, health, text = '' } = query;
  if (kind !== undefined && service.kind !== kind) return false;
  if (health !== undefined && healthOf(service) !== health) return false;
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return true;
  const words = [
    service.name,
    service.vip,
    ...service.ports,
    ...service.tags,
    ...service.names,
    service.description ?? '',
  ];
  const hosts = service.instances.map(({ host }) => host);
  return [...words, ...hosts].some((word) => word.toLowerCase().includes(wanted));
}
