/** What Chromium 83 lacks and the page uses; written plainly, for a browser of that age. */
(() => {
  const add = (target, name, value) => {
    if (!(name in target)) {
      Object.defineProperty(target, name, { value, configurable: true, writable: true });
    }
  };
  function at(index) {
    const place = Math.trunc(index) || 0;
    return this[place < 0 ? this.length + place : place];
  }
  for (const kind of [Array, String, Uint8Array, Float64Array]) {
    add(kind.prototype, "at", at);
  }
  add(String.prototype, "replaceAll", function (what, by) {
    return typeof what === "string" ? this.split(what).join(by) : this.replace(what, by);
  });
  for (const name of ["sort", "reverse"]) {
    add(Array.prototype, name === "sort" ? "toSorted" : "toReversed", function (...how) {
      return [...this][name](...how);
    });
  }
  add(Array.prototype, "findLast", function (test) {
    return [...this].reverse().find(test);
  });
  add(Array.prototype, "findLastIndex", function (test) {
    for (let index = this.length - 1; index >= 0; index -= 1) {
      if (test(this[index], index, this)) {
        return index;
      }
    }
    return -1;
  });
  add(URL, "canParse", (url, base) => {
    try {
      return Boolean(new URL(url, base));
    } catch {
      return false;
    }
  });
  // Its sockets take whole addresses only.
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(url, ...more) {
      super(new URL(url, location.href.replace(/^http/, "ws")).href, ...more);
    }
  };
  add(Object, "hasOwn", (object, key) => Object.hasOwn(object, key));
  add(window, "structuredClone", (value) => JSON.parse(JSON.stringify(value)));
  add(
    window,
    "WeakRef",
    class {
      constructor(held) {
        this.deref = () => held;
      }
    },
  );
  add(crypto, "randomUUID", () =>
    "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
      (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16),
    ),
  );
  add(AbortSignal.prototype, "throwIfAborted", function () {
    if (this.aborted) {
      throw new DOMException("aborted", "AbortError");
    }
  });
})();
