/** The headers that keep the page to itself: nothing inline, nothing from elsewhere, camera for nobody but it. */
import type { RequestHandler } from "express";
import helmet from "helmet";

export function securityHeaders(): RequestHandler[] {
  return [
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          imgSrc: ["'self'"],
          mediaSrc: ["'self'", "blob:"],
          connectSrc: ["'self'"],
          manifestSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      // The operator may run it behind their own TLS, or with none on a LAN: only who ends TLS can promise it.
      strictTransportSecurity: false,
      referrerPolicy: { policy: "no-referrer" },
      crossOriginOpenerPolicy: { policy: "same-origin" },
      crossOriginResourcePolicy: { policy: "same-origin" },
      xFrameOptions: { action: "deny" },
    }),
    (_request, response, next) => {
      response.set(
        "Permissions-Policy",
        "camera=(self), microphone=(self), display-capture=(), geolocation=(), payment=(), usb=(), midi=(), serial=(), hid=(), browsing-topics=()",
      );
      next();
    },
  ];
}
