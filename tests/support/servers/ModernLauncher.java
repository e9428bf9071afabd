import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts a node of Elasticsearch 8.19 or 9.2, whose plugins are below HOME/modules.
 *
 * Usage: java -cp 'lib/*' ModernLauncher.java PACKAGE HOME.  Ends as Launcher does, when standard
 * input ends.
 */
public final class ModernLauncher {
    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[1]);
        Settings settings = Settings.builder().put("path.home", home.toString()).build();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            settings, Map.of(), home.resolve("config"), () -> "node1");
        LogConfigurator.setNodeName("node1");
        LogConfigurator.configure(environment, true);
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(home.resolve("modules")), Set.of(), Map.of(), false);
        Node node = new Node(environment, plugins);
        node.start();

        while (System.in.read() != -1) {
            // Nothing is said on standard input: only its end matters.
        }
        node.close();
        System.exit(0);
    }
}
