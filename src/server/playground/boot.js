'use strict';
(() => {
  const container = document.getElementById('graphiql');
  const scripts = ['React', 'ReactDOM', 'GraphiQL', 'GraphiQLPluginExplorer'].every((name) => window[name]);
  const sheets = [...document.querySelectorAll('link[integrity]')].every((link) => link.sheet);
  if (!scripts || !sheets) {
    for (const origin of document.querySelectorAll('.origin')) origin.textContent = window.location.origin;
    container.hidden = true;
    document.getElementById('unavailable').hidden = false;
    return;
  }

  const settings = JSON.parse(document.getElementById('settings').textContent);
  const url = new URL(settings.endpoint, window.location.href);
  const subscriptionUrl = new URL(settings.subscriptions, window.location.href);
  subscriptionUrl.protocol = subscriptionUrl.protocol === 'https:' ? 'wss:' : 'ws:';
  // GraphiQL sends the values under Headers over HTTP and over the WebSocket.
  const headers = settings.key ? JSON.stringify({ Authorization: `Bearer ${settings.key}` }, null, 2) : undefined;

  ReactDOM.createRoot(container).render(
    React.createElement(GraphiQL, {
      fetcher: GraphiQL.createFetcher({
        url: url.toString(),
        subscriptionUrl: subscriptionUrl.toString(),
        // The only credential is under Headers. Without this, a browser asks for a password when the status is 401.
        fetch: (input, init) => window.fetch(input, { ...init, credentials: 'omit' }),
      }),
      defaultTabs: settings.queries.map((query) => ({ query, headers })),
      defaultHeaders: headers,
      defaultEditorToolsVisibility: settings.key ? 'headers' : true,
      plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    }),
  );
})();
