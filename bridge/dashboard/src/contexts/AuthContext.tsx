/**
 * Who is logged in. Logging in opens the live connection, and logging out closes it.
 *
 * The token is kept for the tab only (sessionStorage), so that two tabs can be two users. A new tab
 * asks the others for theirs, and comes in if they have one user.
 */
import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  type ReactNode,
} from 'react';
import { readClaims } from '../services/claims.js';
import { serverClock } from '../services/clock.js';
import { TOKEN_KEY } from '../services/kept.js';
import { tokenOfOtherTabs } from '../services/tabs.js';
import { wsService, type RefreshToken } from '../services/websocket.js';

export interface User {
  user_id: string;
  roles: string[];
  /** Seconds since the epoch. */
  expires_at: number;
  /** As the token has it, for the user's own eyes. */
  name?: string;
}

export interface Auth {
  token: string | null;
  user: User | null;
  /** Why the server ended the last session; null if the user logged out. */
  ended: 'expired' | 'refused' | null;
  /**
   * Throws TypeError if it is not a token, RangeError if it has expired by the server's clock. Before
   * the server has said its time, the token is sent, and `ended` tells what the server says.
   */
  login: (token: string) => void;
  /** Logs the user out of all tabs of this browser. */
  logout: () => void;
  /** Logs out of this tab alone, for example to log in as somebody else. */
  leave: () => void;
  /** Whether a new tab is still asking the others who is logged in. */
  isArriving: boolean;
}

export interface AuthProviderProps {
  children?: ReactNode;
  /** Gets a fresh token when the current one is about to expire. */
  refreshToken?: RefreshToken;
}

/** Set when the session of this tab has ended: a reload must not bring the user back. */
const LEFT_KEY = 'holdfast.left';
const TOKEN_EXPIRED_CODE = 4401;

const AuthContext = createContext<Auth | null>(null);

/** Reads the user from a token. Does not check the signature: the server does that. */
export function readToken(token: string): User {
  const { sub, roles, exp, name } = readClaims(token);
  return { user_id: sub, roles, expires_at: exp, ...(name && { name }) };
}

export function AuthProvider({ children, refreshToken }: AuthProviderProps) {
  const [token, setToken] = useState(storedToken);
  const [ended, setEnded] = useState<Auth['ended']>(null);
  const [isArriving, setIsArriving] = useState(() => token === null && mayAskTabs());

  const keep = useCallback((next: string | null) => {
    if (next === null) {
      sessionStorage.removeItem(TOKEN_KEY);
      sessionStorage.setItem(LEFT_KEY, 'yes');
    } else {
      sessionStorage.setItem(TOKEN_KEY, next);
      sessionStorage.removeItem(LEFT_KEY);
    }
    setIsArriving(false);
    setToken(next);
  }, []);
  const login = useCallback(
    (next: string) => {
      const trimmed = next.trim();
      if (isExpired(readToken(trimmed))) throw new RangeError('This token has expired.');
      setEnded(null);
      keep(trimmed);
    },
    [keep],
  );
  const leave = useCallback(() => {
    setEnded(null);
    keep(null);
  }, [keep]);
  const logout = useCallback(() => {
    wsService.logout();
    leave();
  }, [leave]);
  useArrival(isArriving, keep, setIsArriving);

  useEffect(() => wsService.configure({ refreshToken }), [refreshToken]);
  useConnection(token);
  useEffect(() => {
    const follow = () => {
      if (wsService.token !== null) keep(wsService.token);
    };
    const undos = [
      wsService.on('connected', follow),
      wsService.on('authenticated', follow),
      wsService.onLogout(leave),
      wsService.on('disconnected', ({ code, will_reconnect }) => {
        if (will_reconnect || code < 4400 || code > 4403) return;
        setEnded(code === TOKEN_EXPIRED_CODE ? 'expired' : 'refused');
        keep(null);
      }),
    ];
    return () => undos.forEach((undo) => undo());
  }, [keep, leave]);

  const auth = useMemo(() => {
    const user = token === null ? null : readToken(token);
    return { token, user, ended, login, logout, leave, isArriving };
  }, [token, ended, login, logout, leave, isArriving]);
  return <AuthContext.Provider value={auth}>{children}</AuthContext.Provider>;
}

/** Throws outside an AuthProvider. */
export function useAuth(): Auth {
  const auth = useContext(AuthContext);
  if (auth === null) throw new Error('useAuth needs an AuthProvider above it');
  return auth;
}

/** Shared by all providers, because the page has one connection: the next provider keeps it open. */
let closing: ReturnType<typeof setTimeout> | undefined;

/** Keeps the connection open while there is a token, also through a remount by StrictMode. */
function useConnection(token: string | null): void {
  useEffect(() => {
    clearTimeout(closing);
    if (token === null) wsService.disconnect();
    else wsService.connect(token);
    return () => {
      const held = wsService.token;
      if (held === null) return;
      closing = setTimeout(() => {
        if (wsService.token === held) wsService.disconnect();
      });
    };
  }, [token]);
}

/** Asks the other tabs, and comes in with their token if there is one that is good. */
function useArrival(
  isArriving: boolean,
  keep: (token: string) => void,
  setIsArriving: (isArriving: boolean) => void,
): void {
  useEffect(() => {
    if (!isArriving) return undefined;
    let isOver = false;
    void tokenOfOtherTabs().then((token) => {
      if (isOver) return;
      if (token !== null && !isExpired(readToken(token))) keep(token);
      else setIsArriving(false);
    });
    return () => {
      isOver = true;
    };
  }, [isArriving, keep, setIsArriving]);
}

function mayAskTabs(): boolean {
  return sessionStorage.getItem(LEFT_KEY) === null;
}

function storedToken(): string | null {
  const token = sessionStorage.getItem(TOKEN_KEY);
  try {
    return token === null || isExpired(readToken(token)) ? null : token;
  } catch {
    return null;
  }
}

/** By the server's clock. While its time is not known, the server is asked: it refuses the token. */
function isExpired(user: User): boolean {
  return user.expires_at <= (serverClock.now_s() ?? 0);
}
