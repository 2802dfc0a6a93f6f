/** What every answer says to a browser, whatever it is an answer to. */

/** Nothing from elsewhere, nothing inline, no frame around it, no form that sends it away. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const SECURITY_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const;

/** Nothing that is answered is kept by a browser or a proxy; the page's own files say otherwise themselves. */
export const ANSWER_HEADERS = { ...SECURITY_HEADERS, 'cache-control': 'no-store' } as const;
