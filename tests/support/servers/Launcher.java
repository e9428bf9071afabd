import java.lang.reflect.Constructor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Starts an Elasticsearch or OpenSearch node from the jars on the class path.
 *
 * Usage: java -cp 'lib/*' Launcher.java PACKAGE HOME PLUGIN...
 * PACKAGE is org.elasticsearch or org.opensearch; both have the same classes below it, so
 * reflection serves both.  HOME/config holds the settings.  The node is closed and the
 * program ends when standard input ends: a dead test run leaves no server behind.
 */
public final class Launcher {
    public static void main(String[] arguments) throws Exception {
        String root = arguments[0];
        Path home = Path.of(arguments[1]);
        List<Object> plugins = new ArrayList<>();
        for (String name : List.of(arguments).subList(2, arguments.length)) {
            plugins.add(plugin(root, root + "." + name));
        }

        Object settings = settings(root, home);
        Class<?> settingsClass = Class.forName(root + ".common.settings.Settings");
        Supplier<String> nodeName = () -> "node1";
        Object environment = Class.forName(root + ".node.InternalSettingsPreparer")
            .getMethod("prepareEnvironment", settingsClass, Map.class, Path.class, Supplier.class)
            .invoke(null, settings, Map.of(), home.resolve("config"), nodeName);

        Class<?> environmentClass = Class.forName(root + ".env.Environment");
        Class<?> logging = Class.forName(root + ".common.logging.LogConfigurator");
        logging.getMethod("setNodeName", String.class).invoke(null, nodeName.get());
        logging.getMethod("configure", environmentClass).invoke(null, environment);

        Class<?> nodeClass = Class.forName(root + ".node.Node");
        Constructor<?> constructor =
            nodeClass.getDeclaredConstructor(environmentClass, Collection.class, boolean.class);
        constructor.setAccessible(true);
        AutoCloseable node = (AutoCloseable) constructor.newInstance(environment, plugins, true);
        nodeClass.getMethod("start").invoke(node);

        while (System.in.read() != -1) {
            // Nothing is said on standard input: only its end matters.
        }
        node.close();
        System.exit(0);
    }

    /** A class, or for OpenSearch 3 what describes it. */
    private static Object plugin(String root, String name) throws Exception {
        if (Runtime.version().feature() < 21) {
            return Class.forName(name);
        }
        Class<?> version = Class.forName(root + ".Version");
        return Class.forName(root + ".plugins.PluginInfo")
            .getConstructor(String.class, String.class, String.class, version, String.class,
                String.class, String.class, List.class, boolean.class)
            .newInstance(name, name, "1", version.getField("CURRENT").get(null), "21",
                name, null, List.of(), false);
    }

    private static Object settings(String root, Path home) throws Exception {
        Object builder =
            Class.forName(root + ".common.settings.Settings").getMethod("builder").invoke(null);
        Class<?> builderClass = builder.getClass();
        builderClass.getMethod("put", String.class, String.class)
            .invoke(builder, "path.home", home.toString());
        return builderClass.getMethod("build").invoke(builder);
    }
}
