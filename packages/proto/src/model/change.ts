/** What changes, and who changes it, in the words of listings and of the API. */

export const CHANGE_OPERATIONS = ['add', 'change', 'remove'] as const;
export type ChangeOperation = (typeof CHANGE_OPERATIONS)[number];

/** `admin` and `read` have a token of control's, and `nobody` has none; an agent acts by itself, and so does control. */
export const ACTOR_KINDS = ['admin', 'read', 'nobody', 'agent', 'control'] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];
