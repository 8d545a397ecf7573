/** What a token says of itself. Only the server checks that it is true. */
export interface Claims {
  sub: string;
  /** Seconds since the epoch. */
  exp: number;
  roles: string[];
  /** What the login server calls the user; for the user's own eyes. */
  name?: string;
}

/** Reads a token. Throws TypeError if it is none, or names no user or no expiry time. */
export function readClaims(token: string): Claims {
  const [, payload = ''] = token.split('.');
  let claims: { sub?: unknown; exp?: unknown; roles?: unknown; name?: unknown } | null;
  try {
    const text = atob(payload.replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    claims = JSON.parse(new TextDecoder().decode(bytes)) as typeof claims;
  } catch {
    throw new TypeError('This is not a token.');
  }
  if (typeof claims?.sub !== 'string' || typeof claims.exp !== 'number') {
    throw new TypeError('This token does not name a user and an expiry time.');
  }
  const roles = Array.isArray(claims.roles) ? claims.roles.map(String) : ['user'];
  const name = typeof claims.name === 'string' ? claims.name.trim() : '';
  return { sub: claims.sub, exp: claims.exp, roles, ...(name && { name }) };
}

/** Reads a token; null if that is not possible. */
export function claimsOf(token: string): Claims | null {
  try {
    return readClaims(token);
  } catch {
    return null;
  }
}
