// The search is a worker, and browsers start none from a file. Opened from the file system, the site has it run in a
// hidden frame.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(address) {
      this.onmessage = null;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html><title>Search</title>";
      this.started = new Promise((resolve, reject) => {
        this.frame.onload = () => {
          const { contentWindow, contentDocument } = this.frame;
          contentWindow.postMessage = (data) => this.onmessage?.({ data });
          const script = contentDocument.createElement("script");
          script.onload = () => resolve(contentWindow);
          script.onerror = reject;
          script.src = new URL(address, location).href;
          contentDocument.head.append(script);
        };
      });
      document.body.append(this.frame);
    }

    postMessage(data) {
      this.started.then((worker) => worker.onmessage({ data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
