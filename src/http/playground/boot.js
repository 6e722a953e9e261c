'use strict';
(() => {
  const settings = JSON.parse(document.getElementById('settings').textContent);
  const url = new URL(settings.endpoint, window.location.href);
  const subscriptionUrl = new URL(settings.subscriptions, window.location.href);
  subscriptionUrl.protocol = subscriptionUrl.protocol === 'https:' ? 'wss:' : 'ws:';
  // GraphiQL sends what stands under Headers through both doors.
  const headers = settings.key ? JSON.stringify({ Authorization: `Bearer ${settings.key}` }, null, 2) : undefined;

  ReactDOM.createRoot(document.getElementById('graphiql')).render(
    React.createElement(GraphiQL, {
      fetcher: GraphiQL.createFetcher({
        url: url.toString(),
        subscriptionUrl: subscriptionUrl.toString(),
      }),
      defaultTabs: settings.queries.map((query) => ({ query, headers })),
      defaultHeaders: headers,
      defaultEditorToolsVisibility: settings.key ? 'headers' : true,
      plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    }),
  );
})();
