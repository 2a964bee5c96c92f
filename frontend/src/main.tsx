import "@/styles.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { z } from "zod";
import { App } from "@/app/app";

// Zod's compiled checks need `new Function`, which the content security policy forbids.
z.config({ jitless: true });

const root = document.getElementById("root");
if (!root) {
  throw new Error("index.html has no #root.");
}
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
