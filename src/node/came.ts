/** By which way a visitor came, as far as they say and it can be seen. */
export interface Came {
  /** The name or address that they have for this place; of IPv6 without brackets; "" where they name none. */
  readonly host: string;
  /** The port at which they reached our own HTTPS; undefined where they came without, or had that of a proxy. */
  readonly tlsPort?: number;
  /** Whether a proxy is in between: then the name leads there. */
  readonly proxied: boolean;
  /** Whether they are on this machine or in a private network. */
  readonly lan: boolean;
}
