'use strict';
(() => {
  const settings = JSON.parse(document.getElementById('settings').textContent);
  const url = new URL(settings.endpoint, window.location.href);
  const subscriptionUrl = new URL(settings.subscriptions, window.location.href);
  subscriptionUrl.protocol = subscriptionUrl.protocol === 'https:' ? 'wss:' : 'ws:';
  const preset = settings.key ? { Authorization: `Bearer ${settings.key}` } : {};
  const headers = settings.key ? JSON.stringify(preset, null, 2) : undefined;

  ReactDOM.createRoot(document.getElementById('graphiql')).render(
    React.createElement(GraphiQL, {
      fetcher: GraphiQL.createFetcher({
        url: url.toString(),
        subscriptionUrl: subscriptionUrl.toString(),
        wsConnectionParams: preset,
      }),
      defaultTabs: settings.queries.map((query) => ({ query, headers })),
      defaultHeaders: headers,
      defaultEditorToolsVisibility: settings.key ? 'headers' : true,
      plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    }),
  );
})();
