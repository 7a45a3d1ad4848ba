/**
 * Random tests play the same at every run, so that one that fails fails again. `CHATRANDOM_SEED` plays others; with more
 * of them (`CHATRANDOM_MODEL_RUNS`, `CHATRANDOM_SESSION_RUNS`, `CHATRANDOM_MOVES_RUNS`) that is how to look for what
 * nobody has thought of.
 */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.CHATRANDOM_SEED ?? 20_261) });
