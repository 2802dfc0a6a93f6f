/** Small pictures beside words; they say nothing that the words do not. */
const PATHS = {
  map: 'M6 6h4v4H6zM14 14h4v4h-4zM15 5h3v3h-3zM10 9l5 5M10 7l5-1',
  services: 'M4 5h16v5H4zM4 14h16v5H4zM7 7.5h1M7 16.5h1',
  agents: 'M4 5h16v10H4zM9 20h6M12 15v5',
  flows: 'M4 8h13l-3-3M20 16H7l3 3',
  policy: 'M12 3l7 3v6c0 4-3 7-7 9-4-2-7-5-7-9V6zM9 12l2 2 4-4',
  tokens: 'M14 4a5 5 0 1 1-3 9l-6 6H3v-3l7-6a5 5 0 0 1 4-6zM15 8h.5',
  audit: 'M6 3h9l4 4v14H6zM9 11h7M9 15h7M9 7h3',
  good: 'M5 12l5 5 9-10',
  bad: 'M6 6l12 12M18 6L6 18',
  warn: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  idle: 'M6 12h12',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M6 6l1 1M17 17l1 1M6 18l1-1M17 7l1-1',
  moon: 'M19 14a8 8 0 0 1-9-10 8 8 0 1 0 9 10z',
  keyboard: 'M3 7h18v10H3zM7 10.5h.5M11 10.5h.5M15 10.5h.5M8 14h8',
  out: 'M10 4H5v16h5M14 8l5 4-5 4M19 12H9',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 5l12 7-12 7z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
