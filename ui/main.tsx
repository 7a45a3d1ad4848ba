import { render } from "preact";
import { thisBrowser } from "./model/browser.ts";
import { createStore } from "./model/store.ts";
import { App } from "./views/app.tsx";

render(<App store={createStore(thisBrowser())} />, document.getElementById("page")!);
