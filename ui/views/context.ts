import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Store } from "../model/state.ts";

export const StoreContext = createContext<Store | null>(null);

/** The page's one store. Throws outside of `<App>`. */
export function useStore(): Store {
  const store = useContext(StoreContext);
  if (!store) throw new Error("a view outside of <App>");
  return store;
}
